// Files that cannot be read.

opsin.view({
  name: 'files',
  mount(root, data) {
    const hidden = data.total - data.rows.length;
    fill(
      root, h('p', { text: `${counted(data.total, 'file')} could not be read.` }),
      table({ caption: 'files left out', head: ['file', 'reason'], rows: data.rows }),
      hidden > 0 ? h('p', { class: 'note', text: `${counted(hidden, 'file')} more` }) : null,
    );
  },
});
