# Writes a page into what the store serves, and waits to be stopped.
echo "written by jobs" > /content/report
exec sleep infinity
