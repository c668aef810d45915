"""What a page of Label Studio's editor is asked about the boxes on its video, as scripts that run in it."""

from __future__ import annotations

READY = """task => { const store = window.Htx?.annotationStore, video = document.querySelector('video');
    return store?.selected && video?.readyState >= 2 && store.selected.names.get('video').length > 1
        && store.selected.regions.length > 0 && window.Htx.task.id === task; }"""
SHOWN = """() => { const video = window.Htx.annotationStore.selected.names.get('video');
    return window.Htx.annotationStore.selected.regions.map(region => ({id: region.cleanId, labels: [...(region.labels || [])],
        box: region.isInLifespan(video.frame) ? region.getShape(video.frame) : null})); }"""
SEEK = "frame => window.Htx.annotationStore.selected.names.get('video').setFrame(frame)"
PICTURE = """() => { const video = document.querySelector('video'), canvas = document.createElement('canvas');
    if (video.seeking || video.readyState < 2) return null;
    canvas.width = video.videoWidth; canvas.height = video.videoHeight;
    canvas.getContext('2d').drawImage(video, 0, 0);
    return canvas.toDataURL('image/png').split(',')[1]; }"""
