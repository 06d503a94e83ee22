owner = true ? ["a"] : "b"
