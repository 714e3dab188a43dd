/** An error whose message says in words what is wrong and what to do. */
export class OpsinError extends Error {}

/** RGBA, RGB or grey bytes, row by row from the top left: 4, 3 or 1 for each pixel. */
export type Pixels = Uint8Array | Uint8ClampedArray

export interface Probability {
  readonly label: string
  /** From 0 to 1. */
  readonly probability: number
}

/** The answer of a classifier. */
export interface Classification {
  readonly task: 'classification'
  readonly label: string
  readonly probability: number
  /** Whether the probability reaches the threshold of the model; null if it has none. */
  readonly known: boolean | null
  /** All labels, the most probable first. */
  readonly ranking: readonly Probability[]
}

/** The answer of a model with several labels for each image. */
export interface MultiLabel {
  readonly task: 'multilabel'
  /** The labels that reach their thresholds. */
  readonly labels: readonly string[]
  readonly ranking: readonly Probability[]
}

/** The answer of a regression; `low` and `high` are null without intervals. */
export interface Regression {
  readonly task: 'regression'
  readonly quantities: readonly {
    readonly name: string
    readonly value: number
    readonly unit: string
    readonly low: number | null
    readonly high: number | null
  }[]
}

/** The answer of a segmentation: the class of each pixel of the image. */
export interface Segmentation {
  readonly task: 'segmentation'
  readonly ids: Uint8Array
  readonly width: number
  readonly height: number
  /** The share of the pixels of each class that occurs, the largest first. */
  readonly shares: readonly {readonly label: string; readonly id: number; readonly share: number}[]
}

/** The answer of a detector: the objects, the best first. */
export interface Detection {
  readonly task: 'detection'
  readonly width: number
  readonly height: number
  readonly detections: readonly {
    readonly label: string
    /** The confidence, from 0 to 1. */
    readonly score: number
    /** Left, top, right and bottom in pixels of the image. */
    readonly box: readonly [number, number, number, number]
  }[]
}

/** The answer of a model for identities: the unit vector of the image. */
export interface Identity {
  readonly task: 'identity'
  readonly embedding: Float32Array
}

/** The answer of a network that was trained without labels: its features with length 1; `outputs` has them as they are. */
export interface Features {
  readonly task: 'self-supervised'
  readonly embedding: Float32Array
}

/** Whether two images show the same. Without calibration, `probability` and `same` are null. */
export interface Comparison {
  /** The cosine of the vectors, -1 to 1. */
  readonly similarity: number
  /** The probability that the images show the same, if half of all pairs do. */
  readonly probability: number | null
  readonly same: boolean | null
}

/** The answer of this model. */
export type Answer = ANSWER

export interface Model {
  readonly labels: readonly string[]
  /** The size and the channels of what the network takes. */
  readonly input: {readonly channels: number; readonly frames: number; readonly height: number; readonly width: number}
  /** Returns the answer for an upright image; the next frame of a film if the network compares frames. */
  predict(image: Pixels, width: number, height: number): Answer
  /** Compares the vectors of two images. Throws an `OpsinError` if the answers of the model have none. */
  compare(first: Float32Array, second: Float32Array): Comparison
  /** Begins a new film: the next frame also stands for those before it. */
  restart(): void
  /** Returns the bytes that the network gets for an image, channel by channel. */
  pixels(image: Pixels, width: number, height: number): Uint8Array
  /** Returns the bytes of a frame with those of the frames before it; of a network that takes one image, the same. */
  stacked(pixels: Uint8Array): Uint8Array
  /** Returns the network's outputs by name for bytes as `stacked` returns them. */
  outputs(pixels: Uint8Array): Record<string, Float32Array>
  /** Computes the golden images again; throws an `OpsinError` unless all outputs are the expected ones, to the bit. */
  selfTest(): Promise<void>
}

export interface LoadOptions {
  /** Reads a file by its name; by default, the files are next to the module. */
  read?: (name: string) => Promise<Uint8Array>
}

/** Loads the model and checks it. Throws an `OpsinError` if a file was changed or the self-test fails. */
export function load(options?: LoadOptions): Promise<Model>
