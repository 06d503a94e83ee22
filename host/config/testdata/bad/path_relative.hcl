state_dir = "var/berth"
plugin_dir = "./bin"
volume_roots = ["/srv/volumes", "volumes", "/srv/../etc", "/"]
