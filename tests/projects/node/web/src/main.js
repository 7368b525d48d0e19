const url = import.meta.env.VITE_API_URL;
const notes = await (await fetch(`${url}/notes`)).json();
document.body.append(...notes.map((note) => Object.assign(document.createElement("p"), { textContent: note })));
