templat "default" {
}
