lifecycle {
  max_ttl = "1h"
