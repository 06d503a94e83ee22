owner = "my host!"
