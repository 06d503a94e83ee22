owner = me
