lifecycle {
  max_ttl      = "48h"
  max_lifetime = "24h"
}
