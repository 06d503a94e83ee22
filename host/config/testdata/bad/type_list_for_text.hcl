owner = ["a"]
