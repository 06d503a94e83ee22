lifecycle {
  max_lifetime = "100000h"
}
