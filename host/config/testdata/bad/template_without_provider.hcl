provider "docker" {
}

template "default" {

}
