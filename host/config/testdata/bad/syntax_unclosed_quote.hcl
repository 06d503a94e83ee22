state_dir = "/srv/berth
owner = "a"
