owner = env("BERTH_NOT_SET")
