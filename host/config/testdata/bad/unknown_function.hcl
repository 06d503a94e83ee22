owner = evn("A", "b")
