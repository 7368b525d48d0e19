// The front end: lists the workouts and adds one.
const version = "__VERSION__";

async function show() {
  const workouts = await (await fetch("/api/workouts")).json();
  const list = document.getElementById("workouts");
  list.replaceChildren(
    ...workouts.map(({ name, minutes }) => {
      const item = document.createElement("li");
      item.textContent = `${name}, ${minutes} minutes`;
      return item;
    }),
  );
}

document.getElementById("add").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { name, minutes } = event.target.elements;
  await fetch("/api/workouts", {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-App-Version": version },
    body: JSON.stringify({ name: name.value, minutes: Number(minutes.value) }),
  });
  await show();
});

show();
