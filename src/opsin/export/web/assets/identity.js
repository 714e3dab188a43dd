/* Two images that are compared: the first one stays until the user starts again. */

let reference = null

/** Returns the result for an image: whether it shows the same as the first one. */
function compared(embedding, name, canvas) {
  if (!reference) {
    const image = painted(canvas, canvas.width, canvas.height, SMALL)
    Object.assign(image, {className: 'reference', role: 'img', ariaLabel: `The first image: ${name}`})
    reference = {embedding, name, image}
    return [answerTitle('first image', 'Now choose another one, to compare it with this one.')]
  }
  const {similarity, probability, same} = model.compare(reference.embedding, embedding)
  const cosine = `similarity ${similarity.toFixed(3)}`
  const chance = `${cosine}; the same with a probability of ${percent(probability)}, if half of all pairs are`
  const title = same === null ? answerTitle(cosine, 'The model has no threshold.') : answerTitle(same ? 'the same' : 'different', chance)
  return [title, element('p', {class: 'note'}, `Compared with ${reference.name}:`), reference.image]
}

/** Makes the next image the first one. */
function startAgain() {
  reference = null
  result.replaceChildren(element('p', {class: 'note'}, 'The next image is the first one.'))
}
