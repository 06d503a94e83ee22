owner = env("A", "b", "c")
