site "a.example.com" { reply = { status = 999 } }
