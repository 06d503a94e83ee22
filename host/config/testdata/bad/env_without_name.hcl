owner = env()
