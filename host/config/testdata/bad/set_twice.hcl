owner = "a"
owner = "b"
