// Notes in one JSON file; a new volume begins with the seed's.
import { createServer } from "node:http";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

const FILE = "/data/notes.json";
if (!process.env.SESSION_SECRET) throw new Error("SESSION_SECRET is not set");
if (!existsSync(FILE)) writeFileSync(FILE, readFileSync("./seed/notes.json"));

const server = createServer(async (request, response) => {
  const answer = (status, body) => {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(body));
  };
  if (request.url === "/api/health") return answer(200, { status: "ok" });
  if (request.url !== "/api/notes") return answer(404, { error: "no such page" });
  const notes = JSON.parse(readFileSync(FILE, "utf8"));
  if (request.method === "POST") {
    let body = "";
    for await (const chunk of request) body += chunk;
    notes.push(JSON.parse(body).text);
    writeFileSync(FILE, JSON.stringify(notes));
    return answer(201, notes);
  }
  return answer(200, notes);
});
server.listen(3000);
process.on("SIGTERM", () => process.exit(0));
