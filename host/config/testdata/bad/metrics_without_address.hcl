metrics {
}
