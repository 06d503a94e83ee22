lifecycle {
}

lifecycle {
}
