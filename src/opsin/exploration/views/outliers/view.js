// Outliers, the farthest from all other images first.

opsin.view({
  name: 'outliers',
  mount(root, data) {
    const hidden = data.total - data.places.length;
    fill(
      root,
      h('p', { text: 'These images are unusually far from all others. The number is the modified z-score of the distance to the nearest neighbours; above 2.5 an image counts as an outlier.' }),
      imageList('outliers', data.places, data.scores.map((score) => score.toFixed(1))),
      hidden > 0 ? h('p', { class: 'note', text: `${counted(hidden, 'outlier')} more in the folder` }) : null,
    );
  },
});
