package launch_test

const hostModeEnv = "BERTH_LAUNCH_TEST_HOST"

func beHost() int { return 1 }
