type View = new (buffer: ArrayBufferLike) => object

/** Copies a date, regular expression, URL, buffer or typed array. Returns `undefined` for every other value, subclasses included. */
export function copyBuiltIn (value: object): object | undefined {
  switch (Object.getPrototypeOf(value)) {
    case Date.prototype: return new Date(value as Date)
    // The constructor does not copy `lastIndex`.
    case RegExp.prototype: return Object.assign(new RegExp(value as RegExp), { lastIndex: (value as RegExp).lastIndex })
    case URL.prototype: return new URL(value as URL)
    case URLSearchParams.prototype: return new URLSearchParams(value as URLSearchParams)
    case ArrayBuffer.prototype: return (value as ArrayBuffer).slice(0)
    case Buffer.prototype: return Buffer.from(value as Buffer)
    default: return ArrayBuffer.isView(value) ? copyView(value) : undefined
  }
}

/** Copies only the part of the buffer that the view shows. */
function copyView ({ constructor, buffer, byteOffset, byteLength }: ArrayBufferView): object {
  return new (constructor as View)(Uint8Array.from(new Uint8Array(buffer, byteOffset, byteLength)).buffer)
}
