"""The fitness app's back end: workouts in PostgreSQL, photos in a folder."""

import os
from pathlib import Path

import psycopg
from flask import Flask, abort, jsonify, request, send_from_directory
from psycopg.rows import dict_row
from werkzeug.utils import secure_filename

from version import VERSION

DATABASE_URL = os.environ["DATABASE_URL"]
UPLOADS = Path(os.environ.get("UPLOADS_DIR", "/app/uploads"))
SCHEMA_LOCK = 7_420_001

app = Flask(__name__)
app.secret_key = os.environ["SECRET_KEY"]
app.config["MAX_CONTENT_LENGTH"] = 10 * 1024 * 1024


def connect():
    return psycopg.connect(DATABASE_URL, connect_timeout=3, row_factory=dict_row)


def prepare_database():
    """Creates the tables; two starting back ends take turns."""
    schema = Path(__file__).with_name("schema.sql").read_text()
    with connect() as db:
        db.execute("SELECT pg_advisory_xact_lock(%s)", (SCHEMA_LOCK,))
        db.execute(schema)


@app.get("/health")
def health():
    try:
        with connect() as db:
            db.execute("SELECT 1 FROM workouts LIMIT 1")
    except psycopg.Error as error:
        app.logger.error("health: %s", error)
        return jsonify(status="error", database="unreachable", version=VERSION), 503
    return jsonify(status="ok", database="ok", version=VERSION)


@app.get("/api/version")
def version():
    return jsonify(version=VERSION)


@app.get("/api/workouts")
def list_workouts():
    with connect() as db:
        rows = db.execute("SELECT id, name, minutes, created_at FROM workouts ORDER BY id").fetchall()
    for row in rows:
        row["created_at"] = row["created_at"].isoformat()
    return jsonify(rows)


@app.post("/api/workouts")
def add_workout():
    body = request.get_json(silent=True) or {}
    name, minutes = body.get("name"), body.get("minutes")
    if not isinstance(name, str) or not name.strip() or not isinstance(minutes, int) or minutes <= 0:
        return jsonify(error="name (text) and minutes (a number above 0) are needed"), 400
    with connect() as db:
        row = db.execute(
            "INSERT INTO workouts (name, minutes) VALUES (%s, %s) RETURNING id, name, minutes",
            (name.strip(), minutes),
        ).fetchone()
    return jsonify(row), 201


@app.put("/api/photos/<name>")
def save_photo(name):
    filename = secure_filename(name)
    if not filename:
        abort(400)
    UPLOADS.mkdir(parents=True, exist_ok=True)
    (UPLOADS / filename).write_bytes(request.get_data())
    return jsonify(name=filename), 201


@app.get("/api/photos/<name>")
def load_photo(name):
    return send_from_directory(UPLOADS, secure_filename(name))


prepare_database()
