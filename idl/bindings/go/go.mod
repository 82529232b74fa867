module xensnap

go 1.19
