// What a bundler does to such variables: their values become part of the text.
import { mkdirSync, readFileSync, writeFileSync, copyFileSync } from "node:fs";

const bundle = readFileSync("src/main.js", "utf8").replace(/import\.meta\.env\.(VITE_\w+)/g, (_, name) => {
  if (!process.env[name]) throw new Error(`${name} is not set`);
  return JSON.stringify(process.env[name]);
});
mkdirSync("dist", { recursive: true });
writeFileSync("dist/main.js", bundle);
copyFileSync("index.html", "dist/index.html");
