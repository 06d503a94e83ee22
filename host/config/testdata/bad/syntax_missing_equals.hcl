state_dir "/srv/berth"
