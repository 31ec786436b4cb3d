// Ties each player to its picture: a line shows what plays, a click on the picture goes there.
for (const side of document.querySelectorAll("section.side")) {
  const audio = side.querySelector("audio"), plot = side.querySelector(".plot");
  if (!audio || !plot) continue;
  const line = plot.querySelector(".playhead"), { left, right, total } = plot.dataset;
  const show = () => {
    const x = +left + (right - left) * Math.min(audio.currentTime / total, 1);
    line.style.left = x * 100 + "%";
    if (!audio.paused) requestAnimationFrame(show);
  };
  for (const event of ["play", "seeked", "timeupdate"]) audio.addEventListener(event, () => {
    plot.classList.add("live");
    show();
  });
  // A little before the moment, so that one hears it come.
  for (const jump of side.querySelectorAll("[data-seek]")) jump.addEventListener("click", event => {
    event.stopPropagation();
    audio.currentTime = Math.max(jump.dataset.seek - 1, 0);
    audio.play();
  });
  plot.addEventListener("click", event => {
    const box = plot.getBoundingClientRect();
    const at = ((event.clientX - box.left) / box.width - left) / (right - left) * total;
    if (at >= 0 && at <= total) audio.currentTime = Math.min(at, audio.duration || at);
  });
}
const both = document.querySelector("#both");
if (both) {
  const players = [...document.querySelectorAll("audio")];
  const playing = () => players.some(player => !player.paused);
  const label = () => { both.textContent = playing() ? "❚❚ Pause" : "▶ Play both sides together"; };
  both.hidden = false;
  both.addEventListener("click", () => {
    if (playing()) return players.forEach(player => player.pause());
    // Both are on one clock: the conversation as it was, from where the first player stands.
    const at = players[0].ended ? 0 : players[0].currentTime;
    for (const player of players) { player.currentTime = at; player.play(); }
  });
  for (const player of players) for (const event of ["play", "pause", "ended"]) player.addEventListener(event, label);
  label();
}
