return { timeouts = { read = "7s" } }
