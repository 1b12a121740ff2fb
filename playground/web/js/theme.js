// Chooses light or dark before anything is painted. A classic script in the head, because modules run too late for that.
(() => {
  try {
    const chosen = localStorage.getItem("countersign:theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // A browser without storage follows the system.
  }
})();
