// The types that the modules share: what the server answers, and what the page keeps.

/**
 * @typedef {object} Layer
 * @property {string} name
 * @property {string} kind
 * @property {number[]} shape
 * @property {number} parameters
 * @property {number} multiply_adds
 */

/**
 * @typedef {object} Network
 * @property {string} id
 * @property {string} name
 * @property {"pretrained" | "file" | "trained"} kind
 * @property {string | null} dataset
 * @property {[number, number]} image_size height and width
 * @property {string[]} classes
 * @property {number} parameters
 * @property {Layer[]} layers
 * @property {number | null} test_accuracy
 * @property {number | null} step of a network in training
 */

/**
 * @typedef {object} Dataset
 * @property {string} id
 * @property {string} name
 * @property {string[]} classes
 * @property {boolean} synthetic
 * @property {boolean} available without a download
 */

/**
 * @typedef {object} Stage
 * @property {string} name
 * @property {"input" | "convolution" | "activation" | "pooling" | "flatten" | "dense" | "probabilities"} kind
 * @property {number[]} shape `[channels, height, width]` or `[units]`
 * @property {number} offset of the first value
 * @property {number} min
 * @property {number} max
 * @property {Field | null} field
 * @property {Float32Array} values
 */

/**
 * Unit `[row, column]` sees the input from `start + stride · [row, column]`, `size` pixels.
 * @typedef {{size: [number, number], stride: [number, number], start: [number, number]}} Field
 */

/**
 * @typedef {object} Prediction
 * @property {number} class
 * @property {string} name
 * @property {number} probability
 * @property {number} entropy in nats
 * @property {number[]} probabilities
 */

/**
 * What a network makes of an image.
 * @typedef {object} View
 * @property {string} network
 * @property {number | null} step
 * @property {string} rule
 * @property {Stage[]} stages
 * @property {Prediction} prediction
 * @property {Uint8Array<ArrayBuffer>} seen the image as the network sees it
 * @property {[number, number]} size of `seen`: height and width
 * @property {Image} image
 */

/**
 * An image to look at: what is sent to the server, and what is written beside it.
 * @typedef {object} Image
 * @property {"drawing" | "picture" | "pixels"} source
 * @property {Uint8Array<ArrayBuffer> | Blob} body grey values, or a picture file
 * @property {number} width 0 for a file
 * @property {number} height 0 for a file
 * @property {string} title
 * @property {string | null} reference as in a link, such as `mnist:123`; null: the pixels as seen
 * @property {{name: string} | null} label the right class, if known
 */

/**
 * @typedef {object} TestImage
 * @property {string} dataset
 * @property {number} index
 * @property {number} label
 * @property {string} class
 * @property {number} width
 * @property {number} height
 * @property {string} pixels base64
 * @property {number} [predicted]
 */

/** @typedef {{stage: string, channel: number, row: number, column: number}} Unit */

/**
 * @typedef {object} Training
 * @property {"idle" | "running" | "finished" | "stopped" | "failed"} status
 * @property {string | null} network
 * @property {string} name
 * @property {string} dataset
 * @property {boolean} synthetic
 * @property {number} epoch
 * @property {number} epochs
 * @property {number} step
 * @property {number} steps
 * @property {number} total_step
 * @property {[number, number][]} losses
 * @property {{epoch: number, accuracy: number, loss: number, mean_loss: number, seconds: number}[]} validation
 * @property {number | null} test_accuracy
 * @property {string | null} message
 */

export {};
