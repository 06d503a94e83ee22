owner = "ÿþ"
