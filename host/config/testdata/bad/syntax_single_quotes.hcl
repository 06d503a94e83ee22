owner = 'me'
