// @ts-check
/** How a photo or a mask comes in: dropped, pasted, picked. */

/**
 * @param {object} take
 * @param {(file: File) => Promise<void>} take.photo
 * @param {(file: File) => void} take.mask
 * @param {() => boolean} take.hasPhoto
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
 * Open a photo, and a mask with it if there is one: what is called NAME_mask is a mask.
 *
 * @param {File[]} files
 * @param {Parameters<typeof listen>[0]} take
 */
async function give(files, take) {
  const masks = files.filter((file) => /_mask\.[^.]+$/i.test(file.name));
  const [photo] = files.filter((file) => !masks.includes(file));
  if (photo) await take.photo(photo);
  if (masks[0] && take.hasPhoto()) take.mask(masks[0]);
  // Alone and first, it is a picture like any other.
  else if (masks[0] && !photo) await take.photo(masks[0]);
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
