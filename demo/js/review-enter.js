/**
 * A launch from a learning system ends here: what it grants comes in the fragment, which no server sees, is kept for this tab,
 * and leaves the address bar at once. `report_to` is the origin of the page that is to be told the outcome.
 */
const told = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
history.replaceState(null, '', location.pathname);
if (told.ticket && told.player) {
  sessionStorage.setItem('npc.launch', JSON.stringify(told));
  const page = told.role === 'instructor' ? 'instructor.html' : `./?scenario=${encodeURIComponent(told.scenario)}&character=${encodeURIComponent(told.character)}`;
  location.replace(page);
} else {
  document.getElementById('state').textContent = 'This address works only when a learning system opens it. Launch the rehearsal from there.';
}
