// @ts-check
/** How a file leaves the page: by the share sheet of a phone, which can put it among its photos, or as a download. */

/**
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<boolean>} whether it left; false: the share sheet was closed
 */
export async function save(blob, name) {
  const file = new File([blob], name, { type: blob.type });
  // Browsers have it over https and on this machine alone, and for the kinds of files that they know.
  if (matchMedia('(pointer: coarse)').matches && navigator.canShare?.({ files: [file] })) {
    try {
      await navigator.share({ files: [file] });
      return true;
    } catch (error) {
      if (error instanceof DOMException && error.name === 'AbortError') return false;
      // The tap that asked for it may be too long ago: a download needs none.
    }
  }
  download(blob, name);
  return true;
}

/**
 * @param {Blob} blob
 * @param {string} name
 */
function download(blob, name) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser reads the address when it begins, which it does soon but not at once.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
