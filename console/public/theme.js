// Before the first paint, so that a chosen theme does not flash. See src/shell/theme.svelte.ts.
(() => {
  try {
    const theme = localStorage.getItem('gatehouse-theme');
    if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme;
  } catch {
    // Storage is switched off: the system's choice stands.
  }
})();
