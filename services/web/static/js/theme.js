// Runs before the page is drawn, so that it is drawn once; a plain script for that reason.
(() => {
  let theme;
  try { theme = localStorage.getItem("theme"); } catch { /* as the system has it */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
