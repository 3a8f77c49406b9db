"""Images: columns that name image files."""

from tailwise.modalities.modality import ColumnOption, Modality, ends_in

IMAGE = Modality(
    name="image",
    plural="images",
    options=(
        ColumnOption(
            "image", "Column that names image files. Repeatable. --set image.encoder=resnet18, image.size=64, ..."
        ),
    ),
    parameters=(
        "encoder",
        "size",
        "mode",
        "bits",
        "in_memory",
        "crop",
        "flip",
        "colour",
        "erase",
        "width",
        "lr_factor",
    ),
    fit="tailwise.modalities.image:fit_images",
    reader="tailwise.modalities.image_files:ImageReader.load",
    encoder="tailwise.modalities.image:image_encoder_from",
    check="tailwise.modalities.image_files:check_images",
    notes="tailwise.modalities.bright_images:notes_on_bright",
    looks_like=ends_in((".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")),
)
