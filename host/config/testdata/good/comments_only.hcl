# nothing
// at all
/* yet */
