// @ts-check
/** How a photo or a mask comes in: dropped, pasted, picked. */

/**
 * @param {object} take
 * @param {(file: File) => Promise<void>} take.photo
 * @param {(file: File, fitting: boolean) => Promise<boolean>} take.mask takes a mask of the open photo,
 *   if asked to, only one of its size; says whether it did
 * @param {() => string | null} take.opened the name of the open photo
 * @param {(names: string[]) => void} take.left is told what was not taken
 */
export function listen(take) {
  const { body } = document;
  let depth = 0;
  const over = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    body.classList.toggle('dropping', depth > 0);
  };
  document.addEventListener('dragenter', (event) => {
    if (!event.dataTransfer?.types.includes('Files')) return;
    event.preventDefault();
    over(1);
  });
  document.addEventListener('dragleave', () => over(-1));
  document.addEventListener('dragover', (event) => event.preventDefault());
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    over(-depth);
    void give([...(event.dataTransfer?.files ?? [])], take);
  });
  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    void give(files, take);
  });
}

/**
 * Open a photo, and its mask with it. NAME_mask is a mask where there is a NAME: among the files, or open
 * already and of that size. Else it is a photo like any other, of a gas mask perhaps.
 *
 * @param {File[]} files
 * @param {Parameters<typeof listen>[0]} take
 */
async function give(files, take) {
  const masks = files.filter((file) => files.some((photo) => isMaskOf(file.name, photo.name)));
  const photos = files.filter((file) => !masks.includes(file));
  const photo = photos.find(({ name }) => masks.some((mask) => isMaskOf(mask.name, name))) ?? photos[0];
  if (!photo) return;
  const mask = masks.find(({ name }) => isMaskOf(name, photo.name));
  const before = take.opened();
  const alone = before !== null && isMaskOf(photo.name, before) && (await take.mask(photo, true));
  if (!alone) await take.photo(photo);
  if (mask && take.opened() === photo.name) await take.mask(mask, false);
  const rest = files.filter((file) => file !== photo && file !== mask);
  if (rest.length) take.left(rest.map(({ name }) => name));
}

/**
 * @param {string} name
 * @param {string} photo
 */
export function isMaskOf(name, photo) {
  const stem = (/** @type {string} */ file) => file.replace(/\.[^.]*$/, '').normalize().toLowerCase();
  return stem(name) === `${stem(photo)}_mask`;
}

/**
 * @param {HTMLInputElement} input
 * @param {(file: File) => void} take what a person picks
 */
export function listenTo(input, take) {
  input.addEventListener('change', () => {
    const file = input.files?.[0];
    // The same file can be picked again.
    input.value = '';
    if (file) take(file);
  });
}
