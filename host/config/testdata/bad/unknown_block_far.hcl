network "x" {
}
