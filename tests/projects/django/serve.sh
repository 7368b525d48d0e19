#!/bin/sh
set -e
python3 manage.py migrate --noinput
python3 manage.py collectstatic --noinput
exec gunicorn --bind 0.0.0.0:8000 --workers 2 --graceful-timeout 2 --worker-tmp-dir /dev/shm shop.wsgi
