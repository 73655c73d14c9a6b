// Light, dark, or as the system has it; the choice is kept in this browser.

export type Theme = 'auto' | 'light' | 'dark';

const KEY = 'gatehouse-theme';

export const theme = $state<{ choice: Theme; shown: 'light' | 'dark' }>({ choice: stored(), shown: shownBy(stored()) });

export function chooseTheme(choice: Theme): void {
  theme.choice = choice;
  theme.shown = shownBy(choice);
  if (choice === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = choice;
  try {
    if (choice === 'auto') localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, choice);
  } catch {
    // Storage is switched off: the choice lasts as long as the page.
  }
}

function stored(): Theme {
  const choice = document.documentElement.dataset.theme;
  return choice === 'light' || choice === 'dark' ? choice : 'auto';
}

function shownBy(choice: Theme): 'light' | 'dark' {
  if (choice !== 'auto') return choice;
  return matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  theme.shown = shownBy(theme.choice);
});
