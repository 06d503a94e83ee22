volume_roots = "/srv/volumes"
