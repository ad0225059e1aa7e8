// @ts-check
/* Before the first frame: no flash of the other theme. A classic script, because modules wait. */
(() => {
  const root = document.documentElement;
  const dark = matchMedia('(prefers-color-scheme: dark)');
  /** @returns {string | null} */
  const chosen = () => {
    try {
      return localStorage.getItem('theme');
    } catch {
      return null;
    }
  };
  const apply = () => {
    root.dataset.theme = chosen() ?? (dark.matches ? 'dark' : 'light');
  };
  apply();
  dark.addEventListener('change', apply);
  document.addEventListener('theme', () => {
    try {
      localStorage.setItem('theme', root.dataset.theme === 'dark' ? 'light' : 'dark');
      apply();
    } catch {
      root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
    }
  });
})();
